// Package metrics counts what the console does, and answers Prometheus' scrapes. Names have base units, and prefix cotrain_
// but for those of HTTP, the process and Go's runtime, which have the usual ones. docs/monitoring.md lists them.
//
// What users, trainers and clusters name is no label, unless it is bounded and one of few: routes are patterns, never paths, and
// methods the known ones.
package metrics
