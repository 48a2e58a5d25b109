// Package storage is the pages of shared storage.
package storage
