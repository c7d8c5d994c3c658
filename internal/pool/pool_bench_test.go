package pool_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgpool-go/pgpool/internal/pool"
	"github.com/pgpool-go/pgpool/stats"
)

// instant is a connection that takes no time, so that what is measured is the
// pool.
type instant struct{}

func (instant) Look(context.Context, time.Duration) pool.Condition { return pool.Ready }
func (instant) Settle() (pool.Condition, stats.Cause)              { return pool.Ready, "" }
func (instant) Check(context.Context) error                        { return nil }
func (instant) Ping(context.Context) error                         { return nil }
func (instant) Close(context.Context)                              {}
func (instant) Kill()                                              {}

func newInstantPool(tb testing.TB, maxConns int) *pool.Pool {
	tb.Helper()
	p, err := pool.New(pool.Config{
		Dial:         func(context.Context) (pool.Physical, error) { return instant{}, nil },
		Judge:        judge,
		MaxConns:     maxConns,
		MaxDials:     16,
		QueueSize:    10_000,
		QueueTimeout: time.Minute,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { p.Close(time.Second) })
	return p
}

// It counts the allocations of the whole process, so it cannot be parallel.
func TestBorrowAndReturn_OfAnIdleConnection_AllocateNothing(t *testing.T) {
	p := newInstantPool(t, 1)
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		c, err := p.Borrow(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		p.Return(c)
	})
	equal(t, "allocations", allocs, 0)
}

func BenchmarkBorrowReturn_Uncontended(b *testing.B) {
	p := newInstantPool(b, 16)
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c, err := p.Borrow(ctx)
		if err != nil {
			b.Fatal(err)
		}
		p.Return(c)
	}
}

func BenchmarkBorrowReturn_1000GoroutinesOn16Connections(b *testing.B) {
	const callers = 1000
	p := newInstantPool(b, 16)
	ctx := b.Context()
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for range callers {
		running.Go(func() {
			for left.Add(-1) >= 0 {
				c, err := p.Borrow(ctx)
				if err != nil {
					b.Error(err)
					return
				}
				p.Return(c)
			}
		})
	}
	running.Wait()
	var s stats.Stats
	p.Stats(&s)
	b.ReportMetric(float64(s.Waits)/float64(b.N), "waits/op")
}
