// Package pgserver runs a throw-away PostgreSQL server: a data directory of its
// own below the temporary directory, a free port on 127.0.0.1, gone without
// trace after [Server.Close]. It serves tests and commands alike and so does
// not import package testing; package pgtest ties it to a test.
//
// # What the server is like
//
// It has the superuser "postgres", the database "postgres" and nothing else.
// Synchronisation with the disk is off (fsync, full_page_writes), which costs
// nothing here: data survive the death of the server's processes, and nobody
// wants them after the death of the machine. synchronous_commit keeps its
// default.
//
// # Who it runs as
//
// PostgreSQL refuses to run as root. A root process starts it as the user
// "postgres" where there is one, else as "nobody".
//
// # What ends it
//
// Close, or the end of the process that started it, however that came about: a
// small shell stands by for the second case (see guard.go).
package pgserver
