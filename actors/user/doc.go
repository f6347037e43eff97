// Package user is the functional core of an account: what an account is, what
// may be asked of it, what happens then, and who may see it.
//
// It is pure: no clock, no I/O, no framework, nothing of ours imported. The
// shell around it (actors/usergrain) supplies time and ids and stores what was
// decided; whoever reads (gateway, streams) uses its vocabulary.
//
//   - id.go: ID, UID.
//   - account.go: Card and Account, the state of a user that others read.
//   - settings.go: Preferences, Privacy.
//   - activity.go: Activity, a behaviour event such as a rating.
//   - validate.go: what input must look like; validate_activity.go for behaviour
//     events, validate_language.go for language tags.
//   - refusal.go: why a command is refused.
//   - state.go, set.go: what decisions need, held in memory by the grain.
//   - command.go, event.go: requests that may be refused; facts that may not.
//   - decide.go: (State, Command) -> []Event, or a refusal.
//   - apply.go: (State, Event) -> State. Total: replay cannot refuse a fact.
//   - visible.go: the one function that says who sees what.
//
// Nothing here is safe for concurrent mutation: a State has one owner, its
// grain. Values handed out (Card, Account, events) are never changed again.
package user
