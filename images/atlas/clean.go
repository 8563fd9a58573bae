package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"

	"ariga.io/atlas/sql/migrate"
)

// foreign finds what is in a PostgreSQL database that nobody's extension or provider has brought.
//
//go:embed foreign.sql
var foreign string

// CheckClean implements migrate.CleanChecker: PostgreSQL is clean when all that is in it belongs to extensions, or to the
// provider who runs the server. Otherwise it is as the library has it: a table, or any schema but public.
func (s *server) CheckClean(ctx context.Context, history *migrate.TableIdent) error {
	if s.dialect.hasExtensions {
		return s.checkClean(ctx, history)
	}
	return s.Driver.CheckClean(ctx, history)
}

func (s *server) checkClean(ctx context.Context, history *migrate.TableIdent) error {
	var schema, table string
	row := s.client.DB.QueryRowContext(ctx, foreign, s.client.URL.Schema, history.Schema, history.Name)
	switch err := row.Scan(&schema, &table); {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("checking whether the database is empty: %w", plain(err))
	case table == "":
		return &migrate.NotCleanError{Reason: fmt.Sprintf("found schema %q", schema)}
	default:
		return &migrate.NotCleanError{Reason: fmt.Sprintf("found table %q in schema %q", table, schema)}
	}
}
