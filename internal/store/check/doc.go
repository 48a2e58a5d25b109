// Package check compares what a console's database derives with what it is derived from: columns with the JSON and the
// chunks that they are taken from, curves with points, texts with runs, events with states, and rows of sealed logs with
// their files. It reads a part at a time, each in a snapshot of its own, so it can run beside a console.
package check
