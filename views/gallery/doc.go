// Package gallery is the developers' page that shows every component in all its states.
package gallery
