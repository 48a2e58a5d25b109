// Package storage is a site's shared storage as the console sees it: one folder with one layout, which workers mount. It
// lists, sizes, serves, deletes and checks what is below.
//
// Nothing leaves the folder: all calls go through an [os.Root], so "..", absolute paths and links that lead out fail
// when opened. Only regular files and folders are ever opened. Everything is bounded: names per folder, entries counted,
// levels, and calls that wait for a hanging file system.
package storage
