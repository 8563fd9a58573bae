package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"ariga.io/atlas/sql/migrate"
)

// events writes a line of JSON for each step of a run. All methods work on nil, which writes nothing.
type events struct {
	out   *os.File
	known secrets
	// unread is set when nobody reads them.
	unread bool
}

// readerTimeout is how long a reader may keep a run waiting.
const readerTimeout = 5 * time.Second

// event is one line. Counts and lines are from 1, offsets are bytes of the file from 0; what does not apply is left out.
type event struct {
	Event string `json:"event"`
	Time  string `json:"time"`
	// Of a run: versions, and the files with their statement counts.
	From  string       `json:"from,omitempty"`
	To    string       `json:"to,omitempty"`
	Files []eventsFile `json:"files,omitempty"`
	// Of a file: its number among those of the run, and the session that executes it.
	File       string `json:"file,omitempty"`
	Version    string `json:"version,omitempty"`
	Number     int    `json:"number,omitempty"`
	Backend    int64  `json:"backend,omitempty"`
	Statements int    `json:"statements,omitempty"`
	Skipped    int    `json:"skipped,omitempty"`
	// Of a statement: its number in the file, and where it stands.
	Statement int  `json:"statement,omitempty"`
	Line      int  `json:"line,omitempty"`
	Column    int  `json:"column,omitempty"`
	Offset    *int `json:"offset,omitempty"`
	Length    int  `json:"length,omitempty"`
	// Of an end, and of an error.
	Milliseconds *int64 `json:"milliseconds,omitempty"`
	Applied      *int   `json:"applied,omitempty"`
	SQLState     string `json:"sqlstate,omitempty"`
	Error        string `json:"error,omitempty"`
}

type eventsFile struct {
	File        string `json:"file"`
	Version     string `json:"version"`
	Statements  int    `json:"statements"`
	Transaction string `json:"transaction"`
}

func openEvents(name string, known secrets) (*events, error) {
	if name == "" {
		return nil, nil
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return &events{out: file, known: known}, nil
}

func (l *events) close() {
	if l != nil {
		_ = l.out.Close()
	}
}

// write appends one line. That nobody reads it must not stop a migration: where a pipe stays full, and where it was closed,
// the run goes on without events.
func (l *events) write(e event) {
	if l.unread {
		return
	}
	e.Time = time.Now().UTC().Format(time.RFC3339Nano)
	e.Error = l.known.clean(e.Error)
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	_ = l.out.SetWriteDeadline(time.Now().Add(readerTimeout)) // which a file refuses, and does not need
	if _, err := l.out.Write(append(line, '\n')); err != nil {
		l.unread = true
	}
}

func (l *events) runBegins(r *applyRun) {
	if l == nil {
		return
	}
	files := make([]eventsFile, len(r.pending))
	for i, file := range r.pending {
		files[i] = eventsFile{file.Name(), file.Version(), len(r.statements[i]), r.modes[i]}
	}
	l.write(event{Event: "run", From: r.report.Current, To: r.report.Target, Files: files})
}

func (l *events) runEnds(r *applyRun) {
	if l == nil {
		return
	}
	done := 0
	for _, file := range r.report.Applied {
		if file.Error == nil {
			done++
		}
	}
	l.write(event{Event: "runEnd", Applied: &done, Error: r.report.Error})
}

func (l *events) fileBegins(file *appliedFile, number int, statements []*migrate.Stmt, s *server) {
	if l == nil {
		return
	}
	e := event{Event: "file", File: file.Name, Version: file.Version, Number: number, Statements: len(statements), Skipped: file.Skipped}
	if s.session != nil {
		e.Backend = s.session.backend
	}
	l.write(e)
}

func (l *events) fileEnds(file *appliedFile) {
	if l == nil {
		return
	}
	l.write(event{Event: "fileEnd", File: file.Name, Version: file.Version, Milliseconds: since(file.started)})
}

// statement writes the begin or the end of the statement that a file is at.
func (l *events) statement(name string, file *appliedFile) {
	if l == nil {
		return
	}
	e := event{Event: name, File: file.Name, Version: file.Version, Statement: file.Skipped + len(file.Applied)}
	if name == statementEnd {
		e.Milliseconds = since(file.began)
	} else {
		e.at(file.text, file.statement, 0)
	}
	l.write(e)
}

// failed writes the error of a file; stmt is nil for one that is no statement's.
func (l *events) failed(file *appliedFile, stmt *migrate.Stmt, err error) {
	if l == nil {
		return
	}
	e := event{Event: "error", File: file.Name, Version: file.Version, SQLState: codeOf(err), Error: err.Error()}
	if stmt != nil {
		e.Statement = file.Skipped + len(file.Applied)
		e.at(file.text, stmt, positionOf(err))
	}
	l.write(e)
}

// fail records the error of a statement.
func (file *appliedFile) fail(stmt *migrate.Stmt, err error) {
	var place event
	place.at(file.text, stmt, positionOf(err))
	file.Error = &statementReport{stmt.Text, err.Error(), codeOf(err), place.Line, place.Column, isRaised(err)}
}

// Names of the events of a statement.
const (
	statementBegin = "statement"
	statementEnd   = "statementEnd"
)

// at says where a statement stands in its file, or the character of it at `position`, from 1.
func (e *event) at(text string, stmt *migrate.Stmt, position int) {
	offset := min(max(stmt.Pos, 0), len(text))
	e.Offset, e.Length = &offset, len(stmt.Text)
	place := offset
	for left := stmt.Text; position > 1 && left != ""; position-- {
		_, size := utf8.DecodeRuneInString(left)
		left, place = left[size:], place+size
	}
	e.Line, e.Column = lineAndColumn(text, place)
}

// lineAndColumn are those of a byte of a text, from 1; a column is a character.
func lineAndColumn(text string, offset int) (line, column int) {
	line, begin := 1, 0
	for i := 0; i < min(offset, len(text)); i++ {
		if text[i] == '\n' {
			line, begin = line+1, i+1
		}
	}
	return line, utf8.RuneCountInString(text[begin:min(offset, len(text))]) + 1
}

func since(begin time.Time) *int64 {
	passed := time.Since(begin).Milliseconds()
	return &passed
}
