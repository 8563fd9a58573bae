package main

import (
	"encoding/json"
	"fmt"
	"os"

	"ariga.io/atlas/sql/migrate"
)

// stated takes the statements of some files from where somebody says they stand, with PostgreSQL's own parser: the library's
// rules are simpler and would cut these files elsewhere. The value of --statements is a file with JSON of the form
// {"1_a.sql": [[0, 25], [27, 60]]}: first byte of each statement, and the byte behind its last one.
func (s *server) stated(f *folder, url string) error {
	if url == "" {
		return nil
	}
	name, err := path(url)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("statements: %w", err)
	}
	var places map[string][][2]int
	if err := json.Unmarshal(data, &places); err != nil {
		return fmt.Errorf("statements: %s is not of the form {FILE: [[BEGIN, END]]}", name)
	}
	for _, file := range f.files {
		found, known := places[file.Name()]
		if !known {
			continue
		}
		text := string(file.Bytes())
		if s.scanned[text], err = cut(text, found); err != nil {
			return fmt.Errorf("statements: %s: %w", file.Name(), err)
		}
	}
	return nil
}

// cut makes statements of their places, which must follow one another within the text.
func cut(text string, places [][2]int) ([]*migrate.Stmt, error) {
	found, last := make([]*migrate.Stmt, len(places)), 0
	for i, place := range places {
		begin, end := place[0], place[1]
		if begin < last || end <= begin || end > len(text) {
			return nil, fmt.Errorf("statement %d: [%d, %d] is not a valid position", i+1, begin, end)
		}
		found[i], last = &migrate.Stmt{Pos: begin, Text: text[begin:end]}, end
	}
	return found, nil
}
