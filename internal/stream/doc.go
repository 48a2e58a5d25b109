// Package stream sends the feed's messages to whoever follows its topics: to browsers and programs, over sockets (package
// internal/web/live) and as Server-Sent Events ([Server.Serve]). Both have the same topics, rights, limits and positions.
package stream
