// Package views renders the console's pages: templ components and the small models that they take. It reads
// nothing but its arguments; everything that came from users, logs or Nomad is escaped by templ.
package views
