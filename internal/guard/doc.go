// Package guard stands between those who ask, web and api, and what knows and acts: store, control, storage. It reads from the
// context who asks, and refuses what the table of rights in package access does not give them: what they may not see does not
// exist, what they see and may not do is forbidden. Changes and refusals go to the audit log.
//
// Every method that web and api need is written out here, so that a new one without a check does not compile.
package guard
