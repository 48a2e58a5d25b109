// Package conformance makes every call to Nomad that CoTrain makes and asserts codes, texts, shapes and behaviour. The same
// suite runs against the embedded agent, always, and against a real Nomad agent when NOMAD_ADDR is set: where the two
// differ, the embedded agent is wrong.
package conformance
