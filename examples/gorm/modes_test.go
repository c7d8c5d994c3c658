package main

import (
	"crypto/rand"
	"database/sql"
	"slices"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/pgpool-go/pgpool/internal/pgtest"
)

// mode is a way to open GORM. Every scenario runs in all of them, bare pgx
// included, and expects the same of each.
type mode struct {
	name       string
	driver     string // empty: GORM opens pgx by itself
	parameters string // added to the DSN
	asConn     bool   // GORM is given a *sql.DB, as programs do that have one
	prepare    bool   // PrepareStmt
}

// A single connection makes an operation that needs a second one beside its
// own time out, and makes statements meet whatever is cached on a connection.
const oneConnection = "&pool_max_conns=1&pool_queue_timeout=5s"

var modes = []mode{
	{name: "pgx"},
	{name: "pgx prepared", driver: "pgx", prepare: true},
	{name: "pgpool", driver: "pgpool"},
	{name: "pgpool prepared", driver: "pgpool", prepare: true},
	{name: "pgpool one connection", driver: "pgpool", parameters: oneConnection},
	{name: "pgpool one connection prepared", driver: "pgpool", parameters: oneConnection, prepare: true},
}

// rarer are modes for what depends on the way of GORM to its connections and of
// pgx to execute.
var rarer = []mode{
	{name: "pgpool given as Conn", driver: "pgpool", asConn: true},
	{name: "pgpool cache_describe", driver: "pgpool", parameters: oneConnection + "&default_query_exec_mode=cache_describe"},
	{name: "pgpool simple protocol", driver: "pgpool", parameters: "&default_query_exec_mode=simple_protocol"},
}

// inEveryMode runs a scenario on a schema of its own in each mode.
func inEveryMode(t *testing.T, scenario func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	inModes(t, modes, scenario)
}

func inModes(t *testing.T, modes []mode, scenario func(t *testing.T, db *gorm.DB)) {
	t.Helper()
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			scenario(t, m.open(t))
		})
	}
}

var allModes = slices.Concat(modes, rarer)

// every returns those of all modes that are as chosen asks.
func every(chosen func(mode) bool) []mode {
	return slices.DeleteFunc(slices.Clone(allModes), func(m mode) bool { return !chosen(m) })
}

func (m mode) prepared() bool   { return m.prepare }
func (m mode) unprepared() bool { return !m.prepare }
func (m mode) pooled() bool     { return m.driver == "pgpool" }

func (m mode) open(t *testing.T) *gorm.DB {
	t.Helper()
	name := "&application_name=" + rand.Text() // tells whose connections are whose
	config := postgres.Config{DriverName: m.driver, DSN: pgtest.Schema(t) + name + m.parameters}
	if m.asConn {
		conn, err := sql.Open(m.driver, config.DSN)
		if err != nil {
			t.Fatal(err)
		}
		config = postgres.Config{Conn: conn}
	}
	db, err := gorm.Open(postgres.New(config), &gorm.Config{
		TranslateError: true,
		PrepareStmt:    m.prepare,
		Logger:         logger.Discard, // many errors are expected
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sqlDB(t, db).Close() })
	return db.WithContext(t.Context())
}

func sqlDB(t *testing.T, db *gorm.DB) *sql.DB {
	t.Helper()
	pool, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// must ends the test if a step failed that the scenario builds on.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantCount checks the number of rows of model that conditions select.
func wantCount(t *testing.T, db *gorm.DB, want int64, model any, conditions ...any) {
	t.Helper()
	var got int64
	query := db.Model(model)
	if len(conditions) > 0 {
		query = query.Where(conditions[0], conditions[1:]...)
	}
	must(t, query.Count(&got).Error)
	if got != want {
		t.Errorf("%d rows of %T, want %d", got, model, want)
	}
}
