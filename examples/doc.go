// Package examples holds programs that show pgpool at work, one directory
// each.
package examples
