// Package auth says who is calling: access and refresh tokens, our own and those
// of an outside identity provider, the sessions that have ended, passwords, and
// the Authorization header. It keeps no users.
//
//   - token.go: Tokens. HS256 access tokens, issued and verified.
//   - refresh.go: refresh tokens and session ids.
//   - provider.go, keyset.go: Provider. Access tokens of an outside provider, and
//     its keys.
//   - cache.go: verified tokens, kept until they expire.
//   - ended.go: Ended. Sessions that were ended before their tokens expired.
//   - header.go: Bearer reads the Authorization header.
//   - password.go: Passwords. argon2id with bounded concurrency.
//
// Invariants. The key fixes the algorithm: a token's own header never chooses
// it. A token without an expiry is refused. A key that the provider has withdrawn
// verifies nothing, nor does what it verified before stay valid. Checking a
// password costs the same whether there is a hash to check against or not.
// Secrets are compared in constant time, and lookups use digests of secrets,
// never the secrets.
//
// Everything may be used concurrently. Nothing here starts a goroutine; Run of
// Provider and Ended works until its context ends.
package auth
