package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"

	"dirsync"
)

// bbolt maps the file into memory and believes it. In a file that was cut short, or whose pages are damaged, it would
// touch memory that is not there, which ends the process and not just the call, or it would panic in a goroutine of its
// own, which does the same. So before bbolt is let near a file the whole tree is read here, with plain reads and
// without trust, and bbolt gets only what holds together. The format is that of bbolt 1.x: internal/common/meta.go,
// page.go and bucket.go.

const (
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	metaSize     = 64 // magic, version, page size, flags, root, sequence, free list, high-water mark, transaction, checksum
	pageHeader   = 16 // id, flags, count, overflow
	elementSize  = 16 // of branch and leaf pages alike
	bucketHeader = 16
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	noFreelist   = ^uint64(0)
	maxDepth     = 64 // of branch pages within one another, and of buckets; a real tree of a billion rows has six
)

// meta is what one of the two header pages says.
type meta struct {
	pageSize uint64
	root     uint64
	freelist uint64
	pages    uint64 // pages from this number on were never used
	tx       uint64
}

// readMeta reads a header page's contents. ok is false when they are not what bbolt wrote.
func readMeta(b []byte) (m meta, ok bool) {
	le := binary.LittleEndian
	if len(b) < metaSize || le.Uint32(b) != boltMagic || le.Uint32(b[4:]) != boltVersion {
		return meta{}, false
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSize-8])
	if sum.Sum64() != le.Uint64(b[metaSize-8:]) {
		return meta{}, false
	}
	m = meta{pageSize: uint64(le.Uint32(b[8:])), root: le.Uint64(b[16:]), freelist: le.Uint64(b[32:]), pages: le.Uint64(b[40:]),
		tx: le.Uint64(b[48:])}
	if m.pageSize < 1024 || m.pageSize > 1<<24 || m.pageSize&(m.pageSize-1) != 0 {
		return meta{}, false
	}
	return m, true
}

// fileCheck reads a file's tree.
type fileCheck struct {
	f     io.ReaderAt
	size  uint64
	meta  meta
	seen  []uint64 // a bit for every page that something refers to
	depth int
	spare [][]byte // buffers of one page to use again
}

// errFallback says that one of the two header pages is damaged. It is not in the way of opening the file.
var errFallback = errors.New("one of the two header pages is damaged")

// checkFile finds out whether bbolt can be given the file. Its errors are of kind Corrupt, except for errFallback, with
// which the file can be used.
func checkFile(f *os.File, size int64) error {
	c := &fileCheck{f: f, size: uint64(size)}
	newest, fallback, err := c.header()
	if err != nil {
		return err
	}
	c.meta = newest
	if c.meta.pages > c.size/c.meta.pageSize {
		return corrupt(fmt.Errorf("the file is cut short: it has %d bytes, and %d are in use", c.size, c.meta.pages*c.meta.pageSize))
	}
	c.seen = make([]uint64, c.meta.pages/64+1)
	if c.meta.freelist != noFreelist {
		page, err := c.page(c.meta.freelist)
		if err != nil {
			return corrupt(err)
		}
		if err := c.freelist(page); err != nil {
			return corrupt(fmt.Errorf("page %d: %w", c.meta.freelist, err))
		}
	}
	if err := c.tree(c.meta.root, nil, nil); err != nil {
		return corrupt(err)
	}
	if fallback {
		return errFallback
	}
	return nil
}

func corrupt(err error) error {
	return &dirsync.Error{Kind: dirsync.Corrupt, Err: err,
		Hint: "Put the newest backup in its place; keep the damaged file, for it may help to find out what happened."}
}

// header reads the two header pages and returns the newer of those that are whole.
func (c *fileCheck) header() (newest meta, fallback bool, err error) {
	var first [pageHeader + metaSize]byte
	if n, err := c.f.ReadAt(first[:], 0); err != nil && err != io.EOF {
		return meta{}, false, &dirsync.Error{Kind: dirsync.Storage, Err: err}
	} else if n < len(first) {
		return meta{}, false, corrupt(fmt.Errorf("the file is cut short, or not a store: it has only %d bytes", c.size))
	}
	m0, ok0 := readMeta(first[pageHeader:])
	var m1 meta
	var ok1 bool
	if ok0 {
		m1, ok1 = c.second(m0.pageSize)
	} else {
		// The page size is not known, so every possible one is tried, as bbolt does.
		for size := uint64(1024); size <= 1<<24 && !ok1; size *= 2 {
			m1, ok1 = c.second(size)
		}
	}
	switch {
	case ok0 && ok1 && m1.tx > m0.tx:
		return m1, false, nil
	case ok0:
		return m0, !ok1, nil
	case ok1:
		return m1, true, nil
	case binary.LittleEndian.Uint32(first[pageHeader:]) == boltMagic:
		return meta{}, false, corrupt(errors.New("both header pages are damaged"))
	default:
		return meta{}, false, &dirsync.Error{Kind: dirsync.Corrupt, Err: errors.New("the file is not a store"),
			Hint: "Check the path: this file was written by another program, or its beginning is damaged."}
	}
}

func (c *fileCheck) second(pageSize uint64) (meta, bool) {
	var b [pageHeader + metaSize]byte
	if n, _ := c.f.ReadAt(b[:], int64(pageSize)); n < len(b) {
		return meta{}, false
	}
	m, ok := readMeta(b[pageHeader:])
	return m, ok && m.pageSize == pageSize
}

// page reads a page with all its overflow pages, each of which nothing else may refer to.
func (c *fileCheck) page(id uint64) ([]byte, error) {
	var head [pageHeader]byte
	if id < 2 || id >= c.meta.pages {
		return nil, fmt.Errorf("page %d is outside of the file", id)
	}
	if _, err := c.f.ReadAt(head[:], int64(id*c.meta.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	if got := binary.LittleEndian.Uint64(head[:]); got != id {
		return nil, fmt.Errorf("page %d says that it is page %d", id, got)
	}
	more := uint64(binary.LittleEndian.Uint32(head[12:]))
	if more >= c.meta.pages-id {
		return nil, fmt.Errorf("page %d reaches beyond the file", id)
	}
	for n := id; n <= id+more; n++ {
		if c.seen[n/64]&(1<<(n%64)) != 0 {
			return nil, fmt.Errorf("page %d is in two places", n)
		}
		c.seen[n/64] |= 1 << (n % 64)
	}
	var b []byte
	if n := len(c.spare); more == 0 && n > 0 {
		b, c.spare = c.spare[n-1], c.spare[:n-1]
	} else {
		b = make([]byte, (more+1)*c.meta.pageSize)
	}
	if _, err := c.f.ReadAt(b, int64(id*c.meta.pageSize)); err != nil {
		return nil, fmt.Errorf("page %d: %w", id, err)
	}
	return b, nil
}

// tree checks the page with everything below it. Its keys must lie in [low, high); nil means without limit.
func (c *fileCheck) tree(id uint64, low, high []byte) error {
	if c.depth++; c.depth > maxDepth {
		return fmt.Errorf("page %d lies too deep", id)
	}
	defer func() { c.depth-- }()
	b, err := c.page(id)
	if err != nil {
		return err
	}
	if err := c.elements(b, low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if uint64(len(b)) == c.meta.pageSize {
		c.spare = append(c.spare, b)
	}
	return nil
}

// elements checks what one page holds, a page inside of a bucket's own row included.
func (c *fileCheck) elements(b []byte, low, high []byte) error {
	le := binary.LittleEndian
	flags, count := le.Uint16(b[8:]), int(le.Uint16(b[10:]))
	if flags != branchPage && flags != leafPage {
		return fmt.Errorf("type %#x, which is neither branch nor leaf", flags)
	}
	if pageHeader+count*elementSize > len(b) {
		return fmt.Errorf("%d elements do not fit", count)
	}
	if flags == branchPage && count == 0 {
		return errors.New("a branch without twigs")
	}
	last := low
	for i := range count {
		at := pageHeader + i*elementSize
		key, value, err := element(b, at, flags)
		if err != nil {
			return fmt.Errorf("element %d: %w", i, err)
		}
		order := bytes.Compare(last, key)
		if last != nil && (order > 0 || order == 0 && i > 0) || high != nil && bytes.Compare(key, high) >= 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
		last = key
		switch {
		case flags == branchPage:
			next := high
			if i+1 < count {
				if next, _, err = element(b, at+elementSize, flags); err != nil {
					return fmt.Errorf("element %d: %w", i+1, err)
				}
			}
			err = c.tree(le.Uint64(b[at+8:]), key, next)
		case le.Uint32(b[at:])&1 != 0:
			err = c.bucket(value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element finds the key and the value of the element that is described at a place of a page.
func element(b []byte, at int, flags uint16) (key, value []byte, err error) {
	le := binary.LittleEndian
	pos, ksize, vsize := uint64(le.Uint32(b[at:])), uint64(le.Uint32(b[at+4:])), uint64(0)
	if flags == leafPage {
		pos, ksize, vsize = uint64(le.Uint32(b[at+4:])), uint64(le.Uint32(b[at+8:])), uint64(le.Uint32(b[at+12:]))
	}
	start := uint64(at) + pos
	if ksize == 0 || start+ksize+vsize > uint64(len(b)) {
		return nil, nil, errors.New("lies outside of its page")
	}
	return b[start : start+ksize], b[start+ksize : start+ksize+vsize], nil
}

// bucket checks a nested bucket: a page of its own, or, of a small one, a page inside of the row.
func (c *fileCheck) bucket(row []byte) error {
	if len(row) < bucketHeader {
		return errors.New("a bucket without a header")
	}
	if root := binary.LittleEndian.Uint64(row); root != 0 {
		return c.tree(root, nil, nil)
	}
	if len(row) < bucketHeader+pageHeader {
		return errors.New("a bucket without a page")
	}
	page := row[bucketHeader:]
	if binary.LittleEndian.Uint16(page[8:]) != leafPage {
		return errors.New("a bucket inside of a row whose page is no leaf")
	}
	if c.depth++; c.depth > maxDepth {
		return errors.New("a bucket lies too deep")
	}
	defer func() { c.depth-- }()
	return c.elements(page, nil, nil)
}

// freelist checks the page on which a program other than this one has written which pages are free.
func (c *fileCheck) freelist(b []byte) error {
	le := binary.LittleEndian
	if le.Uint16(b[8:]) != freelistPage {
		return errors.New("is not a list of free pages")
	}
	n, ids := uint64(le.Uint16(b[10:])), b[pageHeader:]
	if n == 0xFFFF {
		n, ids = le.Uint64(ids), ids[8:]
	}
	if n > uint64(len(ids))/8 {
		return errors.New("the list of free pages does not fit")
	}
	last := uint64(1)
	for i := range n {
		id := le.Uint64(ids[i*8:])
		if id <= last || id >= c.meta.pages {
			return errors.New("the list of free pages is out of order")
		}
		last = id
	}
	return nil
}
