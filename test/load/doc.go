// Command load measures Kith against a plain server that does the same, and
// prints which of the goals were met. `make bench` runs it.
//
// Everything is a real process on the same machine and the same file system: the
// kith that this checkout builds, the baseline (this binary again), a load
// generator (again), a process that does nothing but activate users, and for the
// sockets of GET /ws a crowd that reads them and the floor to compare with.
// Figures of one machine do not travel, ratios within one run do; so each goal
// that can be is a ratio, its two sides take turns in short rounds, and the
// median of the rounds counts. CPU is user and system time of the server's
// process, from the kernel, and of all processes of its stores where it has some,
// until nothing that a round caused lies before a tail of kith.
//
// The phases whose names end in -pg run on a PostgreSQL and a Redis of their own,
// with settings of production, which the table names. There the baseline of lookups
// reads the tables of Kith, and that of follows has its own in the same database.
//
// The two sides get the same users, follows, tokens and requests, and must
// answer the same before anything is measured. During it every status is
// checked, and every 64th body. Kith's own invariants are checked in its database
// after each round: a follow counts only when the counters of both sides have
// committed, and the time until then counts too.
//
// What must not grow with the number of users is measured on two kiths that differ
// in that alone: as many of their users are active, spread over all, and the same
// requests come to both. So it is the size of the data that is compared, and not
// how much of it was used lately; further rows say what both cost together.
//
// The phases whose names begin with ws are about the live stream. A crowd opens
// sockets, has authors among its users record events, and knows how many frames must
// arrive: a missing one is an error. All its sockets are read by one goroutine that
// looks at little more than the headers of frames, so that the server is the one that
// is measured. Saturated means that the next batch is recorded while the one before
// is on its way to the sockets. kith has to have counted as many frames as have
// arrived. The floor is a bare handler of coder/websocket with one Write for each
// socket and frame. Memory is what RSS has grown by when the garbage is collected.
//
// The phases about what comes out of the tails run embedded and on stores of their own.
// A consumer in this process reads the topics: a record that is missing is an error. How
// long an event takes to it counts from the time in the record, before it commits, and
// also from its request. Where a backlog has its effects on one star, the others ask at a
// steady rate, and a request that has to wait for a connection counts from when it was
// due; they are compared with the same on the same server, once it has caught up.
//
//   - main.go: the command line; run.go: a run from building kith to the table.
//     run_postgres.go, run_kafka.go: its parts on PostgreSQL and Redis, and about what
//     comes out of the tails.
//   - machine.go, proc.go, cpu.go: the machine; processes; what CPU they and their
//     children use.
//   - place.go, stores.go, kafka.go: where a kith keeps its data; PostgreSQL and Redis;
//     Kafka.
//   - kith.go, usage.go, rig.go: a server, when its follows have committed, what a
//     round on it took; the two servers of a phase.
//   - population.go, fill.go: users and follows; writing them through the
//     contracts of persistence. world.go: loading a million of them.
//   - baseline.go, baseline_store.go, baseline_postgres.go: the server to compare
//     with, and its databases.
//   - generator.go, generator_run.go, requests.go, conn.go, histogram.go: the load.
//     others.go: a little of it beside something else. consumer.go: reading topics.
//   - crowd.go, crowd_run.go, crowd_authors.go: the sockets, what the process with
//     them is ordered, and its authors. frames.go, poll_linux.go, poll_other.go:
//     frames in what is read; many connections in one goroutine. stream.go: a kith
//     with a crowd, and what an order costs. floor.go: the bare handler.
//   - ws_idle.go, ws_fanout.go, ws_latency.go, ws_resume.go, ws_mixed.go: the phases
//     of the live stream.
//   - idle.go, lookup.go, follow.go, follow_postgres.go, events.go, activation.go,
//     activator.go, account.go, list.go, million.go, publish.go, kafka_latency.go,
//     effects_star.go, search_index.go: one file a phase; the activator is the process of
//     the activation
//     phase.
//   - table.go: the results. profile.go: CPU profiles of kith, and
//     what the statements of PostgreSQL took.
package main
