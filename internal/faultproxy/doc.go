// Package faultproxy is a TCP proxy in front of PostgreSQL that loses or delays
// what a test tells it to. It knows where messages begin and end, which proxies
// that count bytes do not, and so can let a statement take effect on the server
// and take the answer away from the client: the case in which a client does not
// know what became of its statement.
//
//	proxy, dsn, err := faultproxy.NewFor(serverDSN)
//	...
//	fault := proxy.DropReply(faultproxy.Executing("insert"), faultproxy.RST)
//	_, err = conn.Exec(ctx, "insert into t values (1)") // err, and the row is there
//	<-fault.Done()
//
// # Groups
//
// Faults and holds are about a [Group]: all that a client has sent up to a Sync,
// or one Query. The server answers each with exactly one ReadyForQuery, by which
// the proxy finds the reply to it, however many groups are under way.
//
// A group is held back until it is complete, so that one which is to be lost
// has not been forwarded in part. A Flush forwards what came before it; a fault
// can then lose only the rest.
//
// A [Hold] delays the reply to a group, or the end of it, until the test lets it
// go. [Proxy.HoldCancels] delays cancel requests likewise, [Proxy.DropCancels]
// loses them.
//
// # Limits
//
// It speaks plain TCP: an SSLRequest or a GSSENCRequest is answered with 'N'.
// COPY FROM STDIN is understood in a Query, as pgx sends it; in the extended
// protocol the server ignores a Sync meanwhile, which is not accounted for. A
// fault that loses the reply to COPY FROM STDIN loses the request for its data,
// too, and both sides wait.
package faultproxy
