package main

import (
	"fmt"

	"ariga.io/atlas/sql/migrate"
)

// folder is a migration folder whose files are read once, so that a run sees one state of it.
type folder struct {
	*migrate.LocalDir
	files []migrate.File
	sum   migrate.HashFile
}

func openFolder(url string) (*folder, error) {
	name, err := path(url)
	if err != nil {
		return nil, err
	}
	local, err := migrate.NewLocalDir(name)
	if err != nil {
		return nil, err
	}
	files, err := local.Files()
	if err != nil {
		return nil, err
	}
	if err := checkVersions(files); err != nil {
		return nil, err
	}
	sum, err := migrate.NewHashFile(files)
	if err != nil {
		return nil, fmt.Errorf("sql/migrate: compute hash: %w", err)
	}
	return &folder{local, files, sum}, nil
}

// checkVersions refuses two files of one version: the history has one row for both, so the second would never run.
func checkVersions(files []migrate.File) error {
	seen := map[string]string{}
	for _, file := range files {
		if other, known := seen[file.Version()]; known {
			return fmt.Errorf("sql/migrate: %s and %s have the same version: give one of them a different version", other, file.Name())
		}
		seen[file.Version()] = file.Name()
	}
	return nil
}

// openValidFolder is openFolder for a folder that must agree with its atlas.sum.
func openValidFolder(url string) (*folder, error) {
	f, err := openFolder(url)
	if err != nil {
		return nil, err
	}
	return f, migrate.Validate(f)
}

// Files implements migrate.Dir.
func (f *folder) Files() ([]migrate.File, error) { return f.files, nil }

// Checksum implements migrate.Dir.
func (f *folder) Checksum() (migrate.HashFile, error) { return f.sum, nil }

// Transaction modes of a run, and of a file.
const (
	modeFile = "file"
	modeAll  = "all"
	modeNone = "none"
)

// transactionMode is that of a file: its own directive, else the mode of the run.
func transactionMode(file migrate.File, run string) (string, error) {
	local, ok := file.(*migrate.LocalFile)
	if !ok {
		return run, nil
	}
	directives := local.Directive("txmode")
	if len(directives) == 0 {
		return run, nil
	}
	switch mode := directives[0]; {
	case len(directives) > 1:
		return "", fmt.Errorf("multiple txmode values found in file %q", file.Name())
	case mode == modeNone && run == modeAll:
		return "", fmt.Errorf("cannot set txmode directive to %q in %q when txmode %q is set globally", mode, file.Name(), run)
	case mode == modeAll:
		return "", fmt.Errorf("txmode %q is not allowed in file directive %q", mode, file.Name())
	case mode == modeNone:
		return modeNone, nil
	case mode == modeFile:
		return run, nil
	default:
		return "", fmt.Errorf("unknown txmode %q found in file directive %q", mode, file.Name())
	}
}
