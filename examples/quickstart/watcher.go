package main

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watcher asks the server again and again, on a connection of its own, how many
// connections a contender has open there.
type watcher struct {
	stopped chan struct{}
	once    sync.Once
	done    sync.WaitGroup

	most int // valid once done
	err  error
}

func (p *place) watch(ctx context.Context, c contender) (*watcher, error) {
	conn, err := pgx.ConnectConfig(ctx, p.conn.Config())
	if err != nil {
		return nil, err
	}
	w := &watcher{stopped: make(chan struct{})}
	w.done.Go(func() {
		defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing is left to lose
		every := time.NewTicker(20 * time.Millisecond)
		defer every.Stop()
		for last := false; ; {
			n, err := p.connections(ctx, conn, c)
			w.most, w.err = max(w.most, n), err
			if err != nil || last {
				return
			}
			select {
			case <-every.C:
			case <-w.stopped:
				last = true
			}
		}
	})
	return w, nil
}

// stop takes a last look, ends the watch and returns the most connections that
// were seen. Later calls return the same.
func (w *watcher) stop() (int, error) {
	w.once.Do(func() { close(w.stopped) })
	w.done.Wait()
	return w.most, w.err
}
