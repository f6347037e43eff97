// Package auth says who is calling: access tokens, the cache of verified ones,
// passwords, and the Authorization header. It does no I/O and keeps no users.
//
//   - token.go: Tokens. HS256 access tokens, issued and verified.
//   - cache.go: verified tokens, kept until they expire.
//   - header.go: Bearer reads the Authorization header.
//   - password.go: Passwords. argon2id with bounded concurrency.
//   - refresh.go: refresh tokens and session ids.
//
// Invariants. The key fixes the algorithm: a token's own header never chooses
// it. A token without an expiry is refused. Checking a password costs the same
// whether there is a hash to check against or not. Secrets are compared in
// constant time, and lookups use digests of secrets, never the secrets.
//
// Everything may be used concurrently. Nothing here starts a goroutine.
package auth
