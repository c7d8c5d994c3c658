package pgpool_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"
)

// raw hands out the connection of pgx, in the way that is the same for pgx's
// stdlib and pgpool.
func (s *script) raw(f func(ctx context.Context, c *pgx.Conn) error) error {
	conn, err := s.db.Conn(s.ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(driverConn any) error {
		return f(s.ctx, driverConn.(interface{ Conn() *pgx.Conn }).Conn())
	})
}

var rawScenarios = []scenario{
	{name: "COPY", setup: "drop table if exists copied; create table copied (n int primary key, t text)", do: func(s *script) {
		s.ok("CopyFrom", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			n, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n", "t"}, pgx.CopyFromRows([][]any{{1, "a"}, {2, nil}}))
			s.say("rows", n)
			return err
		}))
		s.fails("CopyFrom with a duplicate", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n"}, pgx.CopyFromRows([][]any{{1}}))
			return err
		}))
		s.ok("copy in", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader("3\tc\n"), "copy copied from stdin")
			s.say("tag", tag.String())
			return err
		}))
		s.ok("copy out", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			var out bytes.Buffer
			_, err := c.PgConn().CopyTo(ctx, &out, "copy copied to stdout (format csv)")
			s.say("out", out.String())
			return err
		}))
		s.see(s.db, "table copied order by n")
	}},
	{name: "LISTEN", do: func(s *script) {
		s.ok("listen", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			var channel string
			if err := c.QueryRow(ctx, "select current_schema()").Scan(&channel); err != nil {
				return err
			}
			if _, err := c.Exec(ctx, "listen "+channel); err != nil {
				return err
			}
			if _, err := c.Exec(ctx, "select pg_notify($1, 'hello')", channel); err != nil {
				return err
			}
			notification, err := c.WaitForNotification(ctx)
			if err == nil {
				s.say("heard", notification.Channel == channel, notification.Payload)
			}
			_, unlisten := c.Exec(ctx, "unlisten *")
			return errors.Join(err, unlisten)
		}))
	}},
	{name: "batches", setup: "drop table if exists batched; create table batched (n int primary key)", do: func(s *script) {
		for _, n := range []int{1, 2, 1} { // the third is a duplicate
			s.say("batch", s.raw(func(ctx context.Context, c *pgx.Conn) error {
				var batch pgx.Batch
				batch.Queue("insert into batched values ($1)", n)
				batch.Queue("insert into batched values (10 + $1::int)", n)
				batch.Queue("select n from batched order by n").Query(func(rows pgx.Rows) error {
					numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
					s.say("numbers", numbers)
					return err
				})
				return c.SendBatch(ctx, &batch).Close()
			}))
		}
		s.see(s.db, "table batched order by n")
	}},
	{name: "transactions of pgx", setup: "drop table if exists nested; create table nested (n int)", do: func(s *script) {
		s.ok("nested", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "insert into nested values (1)"); err != nil {
					return err
				}
				s.say("inner", pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
					_, err := tx.Exec(ctx, "insert into nested values (2)")
					return errors.Join(err, errors.New("undo"))
				}))
				return nil
			})
		}))
		s.see(s.db, "table nested")
	}},
	{name: "large objects", do: func(s *script) {
		s.ok("large object", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
				objects := tx.LargeObjects()
				id, err := objects.Create(ctx, 0)
				if err != nil {
					return err
				}
				object, err := objects.Open(ctx, id, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
				if err != nil {
					return err
				}
				_, err = object.Write([]byte("large"))
				_, seekErr := object.Seek(0, io.SeekStart)
				content, readErr := io.ReadAll(object)
				s.say("content", content)
				return errors.Join(err, seekErr, readErr, objects.Unlink(ctx, id))
			})
		}))
	}},
	{name: "native types", do: func(s *script) {
		s.ok("query", s.raw(func(ctx context.Context, c *pgx.Conn) error {
			var numbers []int
			var object map[string]any
			err := c.QueryRow(ctx, "select array[1,2], '{\"a\":1}'::jsonb").Scan(&numbers, &object)
			s.say("values", numbers, object)
			return err
		}))
		own := errors.New("the application's own")
		s.say("an error of the function", s.raw(func(context.Context, *pgx.Conn) error { return own }))
	}},
}
