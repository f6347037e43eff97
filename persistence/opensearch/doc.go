// Package opensearch finds users in an OpenSearch, or in an Elasticsearch that speaks
// as it did before they parted.
//
//   - engine.go: Config, Engine; the connection, its health and what calls report.
//   - settings.go: what the URL must look like.
//   - documents.go: one document for each user, and storing many at once.
//   - search.go: Engine.Search, which asks for two lists in one request.
//   - build.go: an index made beside the one in use, and the alias that is switched.
//   - schema.go: what an index looks like.
//   - fallback.go: Fallback, which asks the database while the engine cannot answer.
//   - metrics.go: what calls took, how many failed, and whether the engine is away.
//
// Names. The index in use bears the alias that the URL names, and one that is being built
// the alias with "-next" at its end, and one of its own; the indexes themselves have the
// alias, the time and something random in their names. Nothing is ever written but
// through an alias that is there: an engine that lost its index does not get one with a
// guessed schema.
//
// Invariants:
//
//   - Documents bear the version of the account as their external version, so a late
//     write never wins. What is removed the engine remembers for an hour, unless it
//     restarts.
//   - While a "-next" is there every document goes to both indexes in one request.
//   - Documents hold every beginning of every word of a name, made by the same
//     function as the database's own, so that both find the same; an index is sorted
//     by username, so that a search reads about what it returns.
//   - What is searched for, and what documents hold, is in no error and no log.
//
// All methods may be called concurrently.
package opensearch
