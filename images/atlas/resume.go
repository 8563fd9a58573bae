package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"ariga.io/atlas/sql/migrate"
)

// begunError is that of a file of which a statement was begun and nobody knows how it ended: what executed it was killed,
// or lost its connection. A row that has an error is another matter: the server undid that statement and said so.
type begunError struct {
	file             migrate.File
	table            string
	statement, total int
}

func (e *begunError) Error() string {
	return fmt.Sprintf("sql/migrate: %s was interrupted, and it is unknown whether statement %d of %d took effect: its row "+
		"in %s has applied = %d, total = %d and no error. Look for the effect of that statement in the database. If there is none, "+
		"put any text into the column error of that row, and the next run continues with the statement. If there is, apply "+
		"the rest of the file by hand and set applied = total",
		e.file.Name(), e.statement, e.total, e.table, e.statement-1, e.total)
}

// halfway returns the rows below the last one whose files stopped halfway: the library looks at the last row alone.
func (h *history) halfway() []*migrate.Revision {
	var found []*migrate.Revision
	for _, r := range h.sorted()[:max(len(h.rows)-1, 0)] {
		if r.Applied < r.Total {
			found = append(found, r)
		}
	}
	return found
}

// with adds the files of some rows to pending ones, in order, and returns the rows that have no file.
func (f *folder) with(pending []migrate.File, rows []*migrate.Revision) (found []migrate.File, missing []*migrate.Revision) {
	found = slices.Clone(pending)
	for _, r := range rows {
		i := slices.IndexFunc(f.files, func(file migrate.File) bool { return file.Version() == r.Version })
		if i < 0 {
			missing = append(missing, r)
			continue
		}
		found = append(found, f.files[i])
	}
	if len(rows) > 0 {
		slices.SortStableFunc(found, func(a, b migrate.File) int { return strings.Compare(a.Version(), b.Version()) })
	}
	return found, missing
}

// resumable refuses a file that stopped halfway and cannot go on: behind a statement of unknown end, unless all of the
// file may be repeated, or because what was applied of it is not what the file begins with.
func (h *history) resumable(file migrate.File, statements []*migrate.Stmt, repeatable bool) error {
	r, known := h.rows[file.Version()]
	if !known {
		return nil
	}
	if r.Applied < r.Total && r.Error == "" && !repeatable {
		return &begunError{file, historyTable, r.Applied + 1, r.Total}
	}
	sum := sha256.New()
	for i := range r.Applied {
		if i < len(statements) {
			_, _ = sum.Write([]byte(statements[i].Text))
		}
		if i >= min(len(statements), len(r.PartialHashes)) ||
			base64.StdEncoding.EncodeToString(sum.Sum(nil)) != strings.TrimPrefix(r.PartialHashes[i], "h1:") {
			return migrate.HistoryChangedError{File: file.Name(), Stmt: i + 1}
		}
	}
	return nil
}

// resume makes the row of a file that stopped halfway that of a statement that is begun: without the error of the last
// try, and up to date, since the file may have been corrected behind the statements that were applied.
func (h *history) resume(file migrate.File, sum migrate.HashFile, statements int) {
	r, known := h.rows[file.Version()]
	if !known {
		return
	}
	r.Error, r.ErrorStmt, r.Total = "", "", statements
	if hash, err := sum.SumByName(file.Name()); err == nil {
		r.Hash = hash
	}
}
