// Package pgbouncer starts a throw-away PgBouncer in front of a server, for
// tests and for commands.
package pgbouncer
