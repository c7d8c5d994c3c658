// Package sqltext tells what a statement's text can do. It answers from the
// text alone and errs on the side of caution.
package sqltext
