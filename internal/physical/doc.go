// Package physical makes the connections that a pool lends: to PostgreSQL
// through pgx, with evidence of what went over the wire, or through any other
// database/sql driver.
package physical
