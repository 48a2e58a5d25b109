// Package status tells others than the console's own pages how runs do: as messages training.progress, and as files
// status.json in shared storage.
package status
