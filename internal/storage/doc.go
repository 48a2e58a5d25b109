// Package storage is the shared storage of a site as the console sees it: one folder with one layout, which workers
// mount. It lists, sizes, serves and deletes what is below that folder, and checks that what a run names is there.
//
// Nothing here leaves the folder: every call goes through an [os.Root], so a path with "..", an absolute path and a link
// that leads out are refused by the way they are opened, not by looking at their text. What is not a regular file or a
// folder (a device, a socket, a FIFO) is listed and never opened. Everything is bounded: names that are read of one
// folder, entries that are counted, levels of a tree, and the calls that wait for a file system that has stopped
// answering.
package storage
