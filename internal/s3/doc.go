// Package s3 is the only importer of the client of S3. It keeps the archive of logs as objects of a bucket of any S3-compatible store.
//
// What goes wrong is a fault that names the setting to look at. Every call is bounded in time and tried a few times.
package s3
