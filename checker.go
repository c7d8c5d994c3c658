package pgpool

import (
	"database/sql/driver"

	"github.com/pgpool-go/pgpool/internal/physical"
)

// checker judges the arguments of statements. nil stands for database/sql's
// default.
type checker struct{ driver.NamedValueChecker }

// learnChecker keeps the checker of the first connection that is seen. Arguments
// are checked before an operation, maybe before a connection is bound.
func (p *sharedPool) learnChecker(conn physical.Backend) {
	if p.checker.Load() == nil {
		p.checker.CompareAndSwap(nil, &checker{conn.Checker()})
	}
}

func (p *sharedPool) checkNamedValue(value *driver.NamedValue) error {
	if p.passesAll {
		return nil
	}
	if known := p.checker.Load(); known != nil && known.NamedValueChecker != nil {
		return known.CheckNamedValue(value)
	}
	converted, err := driver.DefaultParameterConverter.ConvertValue(value.Value)
	if err != nil {
		return err
	}
	value.Value = converted
	return nil
}
