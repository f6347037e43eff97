package demopage

import "io/fs"

// NewPage makes the page of other files.
func NewPage(from fs.FS) (*Page, error) { return newPage(from) }

// Web is the embedded files.
func Web() fs.FS { return web }
