package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/schema"
)

const (
	historyTable = "atlas_schema_revisions"
	operatorName = "DBUpgrade " + Version
	// ownRow is a row of Atlas's that is no migration.
	ownRow = ".atlas_cloud_identifier"
)

// history is the table in which Atlas records what was applied; it implements migrate.RevisionReadWriter.
type history struct {
	server *server
	schema string
	// There is none yet, and none is to be made.
	missing bool
	rows    map[string]*migrate.Revision
	// partial holds the hashes of statements as they were last written.
	partial map[string][]string
}

// openHistory finds the table. The lock must be held before it is made.
func openHistory(ctx context.Context, s *server, schema string, create bool) (*history, error) {
	if schema == "" {
		schema = s.client.URL.Schema
	}
	if schema == "" {
		schema = historyTable
	}
	if strings.Contains(schema, ",") {
		return nil, fmt.Errorf("invalid search_path value: it names more than one schema")
	}
	h := &history{server: s, schema: schema, rows: map[string]*migrate.Revision{}, partial: map[string][]string{}}
	exists, err := h.exists(ctx, s.dialect.tableExists, schema, historyTable)
	if err != nil {
		return nil, err
	}
	if h.missing = !exists; !exists && create {
		return h, h.create(ctx)
	}
	return h, nil
}

func (h *history) exists(ctx context.Context, query string, arguments ...any) (bool, error) {
	var found bool
	err := h.server.client.DB.QueryRowContext(ctx, query, arguments...).Scan(&found)
	if err != nil {
		return false, fmt.Errorf("looking for the history: %w", plain(err))
	}
	return found, nil
}

func (h *history) create(ctx context.Context) error {
	d := h.server.dialect
	exists, err := h.exists(ctx, d.schemaExists, h.schema)
	if err != nil {
		return err
	}
	if !exists {
		if _, err := h.server.client.DB.ExecContext(ctx, "CREATE SCHEMA "+d.quote(h.schema)); err != nil {
			return fmt.Errorf("add new schema named %q: %w", h.schema, plain(err))
		}
	}
	if _, err := h.server.client.DB.ExecContext(ctx, fmt.Sprintf(d.table, h.name())); err != nil {
		return fmt.Errorf("creating the history: %w", plain(err))
	}
	h.missing = false
	return nil
}

// name is the table's, quoted.
func (h *history) name() string {
	return h.server.dialect.quote(h.schema) + "." + h.server.dialect.quote(historyTable)
}

// Ident implements migrate.RevisionReadWriter.
func (h *history) Ident() *migrate.TableIdent {
	return &migrate.TableIdent{Name: historyTable, Schema: h.schema}
}

const columns = "version, description, type, applied, total, executed_at, execution_time, error, error_stmt, hash, " +
	"partial_hashes, operator_version"

// ReadRevisions implements migrate.RevisionReadWriter.
func (h *history) ReadRevisions(ctx context.Context) ([]*migrate.Revision, error) {
	h.rows = map[string]*migrate.Revision{}
	if h.missing {
		return nil, nil
	}
	found, err := h.read(ctx, h.server.client.DB, "")
	for _, r := range found {
		h.rows[r.Version] = r
	}
	return h.sorted(), err
}

// read returns the rows that a condition selects.
func (h *history) read(ctx context.Context, from schema.ExecQuerier, condition string) ([]*migrate.Revision, error) {
	rows, err := from.QueryContext(ctx, "SELECT "+columns+" FROM "+h.name()+condition)
	if err != nil {
		return nil, plain(err)
	}
	defer rows.Close()
	var found []*migrate.Revision
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		if r.Version != ownRow {
			found = append(found, r)
		}
	}
	return found, plain(rows.Err())
}

// sorted orders by bytes, as the library orders files, whatever the database's collation is.
func (h *history) sorted() []*migrate.Revision {
	all := make([]*migrate.Revision, 0, len(h.rows))
	for _, r := range h.rows {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Version < all[j].Version })
	return all
}

func scan(row *sql.Rows) (*migrate.Revision, error) {
	var (
		r           migrate.Revision
		at          sql.NullTime
		text, stmt  sql.NullString
		partial     []byte
		kind, taken int64
	)
	err := row.Scan(&r.Version, &r.Description, &kind, &r.Applied, &r.Total, &at, &taken, &text, &stmt, &r.Hash,
		&partial, &r.OperatorVersion)
	if err != nil {
		return nil, fmt.Errorf("reading the history: %w", err)
	}
	if len(partial) > 0 {
		if err := json.Unmarshal(partial, &r.PartialHashes); err != nil {
			return nil, fmt.Errorf("reading the history: partial_hashes of version %s is not a JSON list", r.Version)
		}
	}
	r.Type, r.ExecutedAt, r.ExecutionTime = migrate.RevisionType(kind), at.Time, time.Duration(taken)
	r.Error, r.ErrorStmt = text.String, stmt.String
	return &r, nil
}

// ReadRevision implements migrate.RevisionReadWriter. The lock keeps what was read before as it is.
func (h *history) ReadRevision(_ context.Context, version string) (*migrate.Revision, error) {
	if r, known := h.rows[version]; known {
		return r, nil
	}
	return nil, migrate.ErrRevisionNotExist
}

// WriteRevision implements migrate.RevisionReadWriter: in the session of the file, so that it goes with its transaction.
func (h *history) WriteRevision(ctx context.Context, r *migrate.Revision) error {
	_, known := h.rows[r.Version]
	h.rows[r.Version] = r
	if h.server.dry {
		return nil
	}
	// The library forgets them at the end of a file. Atlas's command line keeps them, and so they stay.
	if r.PartialHashes != nil {
		h.partial[r.Version] = r.PartialHashes
	}
	hashes, err := json.Marshal(h.partial[r.Version])
	if err != nil {
		return err
	}
	row := *r
	if h.server.lost { // without an error, so that nobody takes the statement for one that the server answered
		row.Error, row.ErrorStmt = "", ""
	}
	err = plain(h.server.dialect.write(context.WithoutCancel(ctx), h, &row, string(hashes), !known))
	if !known && isDuplicate(err) {
		return errOvertaken(r.Version)
	}
	if h.server.session != nil && h.server.session.open && codeOf(err) == inFailedTransaction {
		return nil // the transaction is undone, and its row with it
	}
	return err
}

// DeleteRevision implements migrate.RevisionReadWriter.
func (h *history) DeleteRevision(ctx context.Context, version string) error {
	query := "DELETE FROM " + h.name() + " WHERE version = " + h.server.dialect.placeholder
	if _, err := h.server.client.DB.ExecContext(ctx, query, version); err != nil {
		return fmt.Errorf("deleting from the history: %w", plain(err))
	}
	delete(h.rows, version)
	return nil
}
