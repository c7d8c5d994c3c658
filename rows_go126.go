//go:build !go1.27

package pgpool

import "database/sql/driver"

// expose returns r as database/sql is to see it.
func (r *rows) expose() driver.Rows { return r }
