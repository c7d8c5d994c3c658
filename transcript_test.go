package pgpool_test

import (
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// show writes a value so that two values which look alike are alike, and with
// no address in it.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "nil"
	case error:
		return showError(v)
	case time.Time:
		return fmt.Sprintf("time %s in %s", v.Format(time.RFC3339Nano), v.Location())
	case []byte:
		if v == nil {
			return "no bytes"
		}
		return fmt.Sprintf("bytes %x", v)
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return fmt.Sprintf("%T nil", v)
		}
		return "*" + show(p.Elem().Interface())
	}
	return fmt.Sprintf("%T %+v", v, v)
}

// address is one that pgx writes into the text of an error.
var address = regexp.MustCompile("0x[0-9a-f]+")

// showError writes an error's text and type, and all that is inside. The type of
// the outermost is what code sees that asserts without errors.As.
func showError(err error) string {
	text := fmt.Sprintf("%T %q", err, address.ReplaceAllString(err.Error(), "0x…"))
	if pgErr, ok := err.(*pgconn.PgError); ok { //nolint:errorlint // each level for itself
		text += fmt.Sprintf(" %+v", *pgErr)
	}
	var inner []error
	switch err := err.(type) { //nolint:errorlint // each level for itself
	case interface{ Unwrap() error }:
		inner = []error{err.Unwrap()}
	case interface{ Unwrap() []error }:
		inner = err.Unwrap()
	}
	for _, err := range inner {
		if err != nil {
			text += "\n\tof " + strings.ReplaceAll(showError(err), "\n", "\n\t")
		}
	}
	if errors.Is(err, sql.ErrNoRows) {
		text += " no rows"
	}
	return text
}

// affected writes what a result tells.
func affected(result sql.Result) string {
	if result == nil {
		return "no result"
	}
	rows, err := result.RowsAffected()
	id, idErr := result.LastInsertId()
	return fmt.Sprintf("%d, %v, %d, %v", rows, err, id, idErr)
}
