//go:build go1.27

package pgpool

import "database/sql/driver"

// expose returns r as database/sql is to see it: able to scan columns by itself
// only if the wrapped rows are, for then database/sql never calls Next.
func (r *rows) expose() driver.Rows {
	if _, ok := r.inner.(driver.RowsColumnScanner); ok {
		return scanningRows{r}
	}
	return r
}

// scanningRows are rows whose driver scans into the caller's variables.
type scanningRows struct{ *rows }

var _ driver.RowsColumnScanner = scanningRows{}

// NextRow implements driver.RowsColumnScanner.
func (r scanningRows) NextRow() error {
	if err := r.enter(); err != nil {
		return err
	}
	err := r.advanced(r.inner.(driver.RowsColumnScanner).NextRow())
	r.leave()
	return err
}

// ScanColumn implements driver.RowsColumnScanner.
func (r scanningRows) ScanColumn(ctx driver.ScanContext, index int, dest any) error {
	return r.inner.(driver.RowsColumnScanner).ScanColumn(ctx, index, dest)
}
