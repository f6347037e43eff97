// Package server starts real servers as processes that cannot outlive the one that
// started them: PostgreSQL, Redis, pgbouncer, Kafka, OpenSearch, Elasticsearch, S3; from
// binaries that are installed, each on a free port of 127.0.0.1, in a private directory,
// with a password where it knows any.
//
//   - yard.go: Yard, the directory of all servers of a process, and the janitor that
//     ends them and removes it when the process has ended, however it did.
//   - process.go: one process, without a goroutine that waits for
//     it, and the account under which it runs.
//   - daemon.go: what servers of one process have in common.
//   - descendants.go: the children of a process.
//   - port.go: free ports.
//   - find.go: where binaries are.
//   - postgres.go, redis.go, pgbouncer.go, kafka.go, search.go, s3.go: the servers;
//     kafka_secure.go: TLS and passwords of Kafka.
//   - jars.go: fetching servers that are made of jars; java.go: running them.
//
// Servers refuse to run as root, or should not: then they run as the user postgres,
// to whom their directories belong. No goroutine is left running by anything here,
// so that tests that look for leaks find none.
//
// Starting and ending one server is for one goroutine; different servers may be
// started at once.
package server
