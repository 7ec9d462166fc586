package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	yaml "go.yaml.in/yaml/v4"
)

// loadOpenConfig is LoadConfig for the command that finds tenant ids out: that a tenant's id is missing or empty is no
// fault. It returns the file's bytes, too.
func loadOpenConfig(path string) (*Config, []byte, error) {
	data, err := readConfigFile(path)
	if err != nil {
		return nil, nil, err
	}
	c, err := parse(path, data, true)
	return c, data, err
}

// writeTenantID writes id as the id of a tenant into a configuration file, and changes nothing else in it: comments and
// layout stay byte for byte. It reads the file anew, since it may have been edited in the meantime. If the file has this
// id already it is left alone, and written is false. A file that has another id is an error, and so is everything that
// leaves a doubt; the file is then as it was.
//
// The new file must load as every other command loads it before it takes the place of the old one, except that other
// tenants may still be without an id if they were before.
func writeTenantID(path, name, id string) (written bool, err error) {
	c, data, err := loadOpenConfig(path)
	if err != nil {
		return false, err
	}
	t := c.Tenants[name]
	switch {
	case t == nil:
		return false, fmt.Errorf("write %s: the tenant %s is no longer in it", path, name)
	case t.ID == id:
		return false, nil
	case t.ID != "":
		return false, fmt.Errorf("write %s: the tenant %s has the id %s in it, and %s has answered", path, name, t.ID, id)
	}
	load := LoadConfig
	for other, t := range c.Tenants {
		if other != name && t.ID == "" {
			load = func(path string) (*Config, error) { c, _, err := loadOpenConfig(path); return c, err }
		}
	}
	edited, err := setTenantID(data, name, id)
	if err != nil {
		return false, fmt.Errorf("write %s: %w; nothing was changed. Write id: %s under tenants.%s yourself", path, err, id, name)
	}
	if err := replaceFile(path, edited, func(temp string) error {
		c, err := load(temp)
		if err == nil && c.Tenants[name].ID != id {
			err = errors.New("the id is not in it")
		}
		return err
	}); err != nil {
		return false, fmt.Errorf("write %s: %w; nothing was changed. Write id: %s under tenants.%s yourself", path, err, id, name)
	}
	return true, nil
}

var errNoPlace = errors.New("the tenant is written in a way that cannot be changed safely")

// setTenantID returns the configuration with id as the id of the tenant called name, which has none or an empty one so
// far. The id is the only thing that is put in or replaced, and reading both versions proves it.
func setTenantID(data []byte, name, id string) ([]byte, error) {
	text := bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	mark := len(data) - len(text)
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil || len(doc.Content) != 1 {
		return nil, errNoPlace
	}
	_, tenants := pairOf(doc.Content[0], "tenants")
	key, tenant := pairOf(tenants, name)
	if tenant == nil || tenant.Kind != yaml.MappingNode || len(tenant.Content) == 0 {
		return nil, errNoPlace
	}
	from, to, insert, ok := placeOfID(text, key, tenant, id)
	if !ok {
		return nil, errNoPlace
	}
	edited := append([]byte{}, data[:mark+from]...)
	edited = append(append(edited, insert...), data[mark+to:]...)
	if !differsInID(text, edited[mark:], name, id) {
		return nil, errNoPlace
	}
	return edited, nil
}

// pairOf finds a key and its value in a mapping; both are nil if it has no such key, or is none.
func pairOf(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Kind == yaml.ScalarNode && n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// placeOfID says which bytes of the text to replace, by what.
func placeOfID(text []byte, key, tenant *yaml.Node, id string) (from, to int, insert string, ok bool) {
	idKey, value := pairOf(tenant, "id")
	if idKey == nil {
		return placeOfNewID(text, key, tenant, id)
	}
	if value.Kind != yaml.ScalarNode || value.Anchor != "" {
		return 0, 0, "", false
	}
	at, found := offset(text, position(value))
	for _, empty := range []string{`""`, `''`, "~", "null", "Null", "NULL"} {
		if found && (value.Value != "" || value.Style != 0) && bytes.HasPrefix(text[at:], []byte(empty)) {
			return at, at + len(empty), id, true
		}
	}
	// Nothing stands behind the key's colon.
	at, found = offset(text, position(idKey))
	for _, written := range []string{"id:", `"id":`, "'id':"} {
		if found && bytes.HasPrefix(text[at:], []byte(written)) {
			at += len(written)
			return at, at, " " + id, true
		}
	}
	return 0, 0, "", false
}

// placeOfNewID puts a key of its own in front of the others: behind the brace, or in the line below the tenant's name, so
// that the remarks above the first key stay with it.
func placeOfNewID(text []byte, key, tenant *yaml.Node, id string) (from, to int, insert string, ok bool) {
	if tenant.Style&yaml.FlowStyle != 0 {
		at, found := offset(text, position(tenant))
		if !found || text[at] != '{' {
			return 0, 0, "", false
		}
		return at + 1, at + 1, " id: " + id + ",", true
	}
	first := tenant.Content[0]
	start, found := offset(text, Position{Line: first.Line, Column: 1})
	at, foundKey := offset(text, position(first))
	below, foundLine := offset(text, Position{Line: key.Line + 1, Column: 1})
	if !found || !foundKey || !foundLine || first.Line == key.Line || strings.Trim(string(text[start:at]), " ") != "" {
		return 0, 0, "", false
	}
	end := "\n"
	if bytes.HasSuffix(text[:below], []byte("\r\n")) {
		end = "\r\n"
	}
	return below, below, string(text[start:at]) + "id: " + id + end, true
}

// offset is where a position is in the text; the columns are counted in characters. It is always in front of a byte.
func offset(text []byte, p Position) (int, bool) {
	at := 0
	for line := 1; line < p.Line; line++ {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return 0, false
		}
		at += end + 1
	}
	column := 1
	for i := range string(text[at:]) {
		if column == p.Column {
			return at + i, true
		}
		if column++; text[at+i] == '\n' {
			break
		}
	}
	return 0, false
}

// differsInID proves that two versions of a configuration mean the same, but for the one id.
func differsInID(before, after []byte, name, id string) bool {
	var a, b map[string]any
	if yaml.Load(before, &a) != nil || yaml.Load(after, &b) != nil {
		return false
	}
	tenants, _ := a["tenants"].(map[string]any)
	tenant, _ := tenants[name].(map[string]any)
	if tenant == nil {
		return false
	}
	// Copies, because an alias elsewhere in the file may share the tenant's map. It would get the id in the new file, and
	// must not get it here.
	tenants, tenant = maps.Clone(tenants), maps.Clone(tenant)
	tenant["id"], tenants[name], a["tenants"] = id, tenant, tenants
	return reflect.DeepEqual(a, b)
}

// replaceFile puts data in the place of a file, all or nothing: it is written to a file beside it with the same rights
// and owner, must pass check, and is renamed. A symbolic link stays one, and what it leads to is replaced.
func replaceFile(path string, data []byte, check func(temp string) error) (err error) {
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return plainFileError(err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return plainFileError(err)
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".dirsync-*.yaml")
	if err != nil {
		return fmt.Errorf("no file can be made in its folder: %w", plainFileError(err))
	}
	defer func() {
		_ = temp.Close()
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	if _, err := temp.Write(data); err != nil {
		return plainFileError(err)
	}
	// The owner first: changing it may take rights away.
	if err := keepOwner(temp, info); err != nil {
		return fmt.Errorf("its owner cannot be kept: %w", plainFileError(err))
	}
	if err := temp.Chmod(info.Mode().Perm()); err != nil {
		return plainFileError(err)
	}
	if err := errors.Join(temp.Sync(), temp.Close()); err != nil {
		return plainFileError(err)
	}
	if err := check(temp.Name()); err != nil {
		return fmt.Errorf("the changed file would not load: %w", err)
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return plainFileError(err)
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		// The new file is in place; that the folder cannot be made to hold through a power cut changes nothing for anybody.
		_ = dir.Sync()
		_ = dir.Close()
	}
	return nil
}
