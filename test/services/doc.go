// Package services gives tests real servers: databases of a Postgres and of a
// Redis that they share, and servers of their own to stop, kill and starve.
//
// The shared servers are those that the environment names:
//
//	KITH_TEST_DATABASE_URL  a Postgres, as a role that may create databases
//	KITH_TEST_REDIS_URL     a Redis, not a cluster, whose logical databases may be
//	                        emptied; its database 0 says which ones are in use
//	KITH_TEST_KAFKA_BROKERS a Kafka, host:port,…, whose topics and groups that are
//	                        called kith.… are deleted; only one machine may test on it
//	KITH_TEST_SEARCH_URL    an OpenSearch, whose indices that are called kith-… are
//	                        deleted; only one machine may test on it
//
// which `go run ./test/services/run` sets for a whole run of tests. Without them
// the first test of a process that needs one starts one for this process, from
// installed binaries; it ends with the process, whatever ends that.
//
// A test that needs a server which is not there is skipped and says how to get
// it, or, when KITH_TEST_REQUIRE is 1, fails.
//
//   - services.go: Database, Redis: what tests share.
//   - programs.go: Chromium, NPM, Python: what tests run beside servers.
//   - own.go: StartPostgres, StartRedis, StartPgBouncer: what belongs to one test.
//   - kafka.go: Kafka, StartKafka: a Kafka for one test after another, and one's own.
//   - search.go: Search, Elastic, StartSearch: likewise OpenSearch and Elasticsearch.
//   - s3.go: S3, StartS3: buckets, and an S3 server of one's own.
//   - stores.go: running the tests of a package on embedded stores and on these.
//   - exclusive.go: servers that tests have one after another.
//   - leases.go: which logical databases of a Redis are in use.
//   - server/: starting real servers.
//   - run/: the command that runs other commands with servers.
package services
