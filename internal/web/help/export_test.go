package help

// HTML is a document as it was rendered.
func (l *Library) HTML(name string) string {
	d, _ := l.document(name)
	return d.HTML
}
