// Package pgtest gives tests a real PostgreSQL server. There is no test double
// and no way to skip: where no server is installed, the tests fail and say what
// to install.
//
// A package that uses it has one line of TestMain:
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
// # Which server
//
// [DSN] and [Schema] share one server per test binary, started when the first
// test asks and stopped by [Main]. With the variable PGPOOL_TEST_DSN set, they
// use the server it names instead and start none. Tests that stop a server,
// need settings or count its connections take their own from [Server].
//
// None of this is to be called inside a synctest bubble: its time stands still
// while the server starts.
package pgtest
