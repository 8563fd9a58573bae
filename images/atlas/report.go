package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/template"
	"time"

	"ariga.io/atlas/sql/migrate"
)

// applyReport is what --format sees of a run. Names and meanings of its fields are those of Atlas's command line.
type applyReport struct {
	Current, Target string
	Pending         []fileReport
	Applied         []*appliedFile
	Error           string
}

type fileReport struct {
	Name, Version, Description string
}

type appliedFile struct {
	fileReport
	Skipped int
	// The statements that were executed; the last of them may be the one that failed.
	Applied []string
	Error   *statementReport

	text           string
	statement      *migrate.Stmt
	started, began time.Time
}

// statementReport has more than that of Atlas's command line: what is known of the error itself. Lines and columns are
// from 1, and 0 where the statement's place is not known.
type statementReport struct {
	Stmt, Text   string
	SQLState     string
	Line, Column int
	Raised       bool
}

// statusReport is what --format sees of a comparison.
type statusReport struct {
	Available, Pending []fileReport
	Applied            []*migrate.Revision
	Current, Next      string
	Count, Total       int
	Status, Error, SQL string
}

// clean is the report without URLs and secrets.
func (r applyReport) clean(known secrets) applyReport {
	r.Error = known.clean(r.Error)
	for _, file := range r.Applied {
		for i, statement := range file.Applied {
			file.Applied[i] = known.clean(statement)
		}
		if file.Error != nil {
			file.Error.Stmt, file.Error.Text = known.clean(file.Error.Stmt), known.clean(file.Error.Text)
		}
	}
	return r
}

func reportOf(file migrate.File) fileReport {
	return fileReport{file.Name(), file.Version(), file.Desc()}
}

func reportsOf(files []migrate.File) []fileReport {
	all := make([]fileReport, len(files))
	for i, file := range files {
		all[i] = reportOf(file)
	}
	return all
}

// render writes a report by the user's template, or by ours.
func render(out io.Writer, format, standard string, report any) error {
	if format == "" {
		format = standard
	}
	parsed, err := parseFormat(format)
	if err != nil {
		return err
	}
	return parsed.Execute(out, report)
}

// parseFormat reads a template; a wrong one must be refused before anything is applied.
func parseFormat(format string) (*template.Template, error) {
	parsed, err := template.New("format").Funcs(template.FuncMap{"json": asJSON}).Parse(format)
	if err != nil {
		return nil, fmt.Errorf("parse log format: %w", err)
	}
	if parsed.Lookup(placeBlock) == nil {
		return parsed, nil
	}
	if _, err := parsed.New(placeBlock).Parse(placeFormat); err != nil {
		return nil, err
	}
	return parsed, nil
}

// placeBlock is a block of a template, of which Atlas's command line uses the text that stands there: it has no such
// fields, and a template that names one fails with it. Here, the block is what is known of an error.
const (
	placeBlock  = "place"
	placeFormat = `{"sqlstate":{{ json .SQLState }},"line":{{ .Line }},"column":{{ .Column }},"raised":{{ .Raised }}}`
)

func asJSON(value any) (string, error) {
	text, err := json.Marshal(value)
	return string(text), err
}

const applyFormat = `{{ if not .Pending }}There is nothing to apply{{ with .Current }}; the database is at version {{ . }}{{ end }}
{{ else }}{{ range .Applied }}{{ .Name }}{{ if .Error }} failed: {{ .Error.Text }}
  {{ .Error.Stmt }}
{{ else }}: {{ len .Applied }} statements
{{ end }}{{ end }}{{ with .Error }}Error: {{ . }}
{{ end }}{{ end }}`

const statusFormat = `{{ .Status }}: {{ len .Applied }} applied, {{ len .Pending }} pending; the database is at version {{ .Current }}
{{ range .Pending }}  {{ .Name }}
{{ end }}{{ with .Error }}The last file stopped at statement {{ $.Count }} of {{ $.Total }}: {{ . }}
{{ end }}`
