// Package bench measures pgpool beside what it could replace.
package bench
