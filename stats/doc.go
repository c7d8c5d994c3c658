// Package stats holds the figures that a pool shows to its operator.
package stats
