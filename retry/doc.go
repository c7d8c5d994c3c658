// Package retry tells what became of an operation whose connection was lost,
// and with that whether it may run again.
package retry
