// Package ui is what every page is made of: layout, components, icons, formats, links. Like all of views it reads nothing but
// its arguments; templ escapes whatever came from users, logs or Nomad.
package ui
