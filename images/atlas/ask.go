package main

import (
	"context"
	"encoding/json"
	"fmt"
)

// answer is what the server says to a query: its rows as texts, or the code of its refusal.
type answer struct {
	Rows  [][]*string `json:"rows"`
	Error string      `json:"error,omitempty"`
}

// ask executes queries that only read, each an argument, and prints the answer to each as one line of JSON: for a runner
// that has no driver for MySQL.
func ask(ctx context.Context, o *options, io streams) error {
	s, err := connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer s.close()
	known := secretsOf(o.url)
	if err := s.open(ctx); err != nil {
		return known.hide(err)
	}
	defer s.end()
	if _, err := s.session.ExecContext(ctx, "START TRANSACTION READ ONLY"); err != nil {
		return known.hide(fmt.Errorf("beginning a transaction: %w", plain(err)))
	}
	lines := json.NewEncoder(io.out)
	for _, query := range o.arguments {
		rows, err := s.rowsOf(ctx, query)
		found := answer{Rows: rows}
		if err = plain(err); err != nil {
			if codeOf(err) == "" { // the server did not say it
				return known.hide(err)
			}
			found = answer{Rows: [][]*string{}, Error: codeOf(err)}
		}
		if err := lines.Encode(found); err != nil {
			return err
		}
	}
	return nil
}

// rowsOf returns the rows of a query.
func (s *server) rowsOf(ctx context.Context, query string) ([][]*string, error) {
	rows, err := s.session.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	found := [][]*string{}
	for rows.Next() {
		row, places := make([]*string, len(names)), make([]any, len(names))
		for i := range row {
			places[i] = &row[i]
		}
		if err := rows.Scan(places...); err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}
