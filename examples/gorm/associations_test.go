package main

import (
	"slices"
	"testing"

	"gorm.io/gorm"
)

type (
	author struct {
		ID      uint
		Name    string
		Profile *profile // has one
		Books   []book   `gorm:"constraint:OnDelete:CASCADE"` // has many
	}
	profile struct {
		ID       uint
		AuthorID uint
		Bio      string
	}
	book struct {
		ID       uint
		AuthorID uint
		Author   *author // belongs to
		Title    string
		Tags     []tag `gorm:"many2many:book_tags"`
	}
	tag struct {
		ID   uint
		Name string `gorm:"uniqueIndex"`
	}
)

// library is one author with two books, one of which has tags.
func library(t *testing.T, db *gorm.DB) *author {
	t.Helper()
	must(t, db.AutoMigrate(&author{}, &profile{}, &book{}, &tag{}))
	a := &author{
		Name:    "Ann",
		Profile: &profile{Bio: "writes"},
		Books:   []book{{Title: "One", Tags: []tag{{Name: "short"}, {Name: "good"}}}, {Title: "Two"}},
	}
	must(t, db.Create(a).Error)
	return a
}

func titles(books []book) []string {
	var all []string
	for _, b := range books {
		all = append(all, b.Title)
	}
	slices.Sort(all)
	return all
}

func wantTitles(t *testing.T, books []book, want ...string) {
	t.Helper()
	if got := titles(books); !slices.Equal(got, want) {
		t.Errorf("books %q, want %q", got, want)
	}
}

func TestAssociationsAreSavedAndPreloaded(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		ann := library(t, db)
		must(t, db.Create(&author{Name: "Bob"}).Error)

		var authors []author
		must(t, db.Preload("Profile").Preload("Books.Tags").Order("id").Find(&authors).Error)
		if len(authors) != 2 || authors[0].Profile == nil || authors[0].Profile.Bio != "writes" {
			t.Fatalf("authors %+v", authors)
		}
		wantTitles(t, authors[0].Books, "One", "Two")
		wantTitles(t, authors[1].Books)
		if tags := authors[0].Books[0].Tags; len(tags) != 2 {
			t.Errorf("tags %+v", tags)
		}

		var two book
		must(t, db.Joins("Author").Where(&book{Title: "Two"}).Take(&two).Error)
		if two.Author == nil || two.Author.ID != ann.ID {
			t.Errorf("the author of Two is %+v", two.Author)
		}

		var filtered author
		must(t, db.Preload("Books", "title > ?", "P").Take(&filtered, ann.ID).Error)
		wantTitles(t, filtered.Books, "Two")
	})
}

func TestAssociationModeChangesHasManyAndMany2Many(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		ann := library(t, db)
		books := func() *gorm.Association { return db.Model(&author{ID: ann.ID}).Association("Books") }
		must(t, books().Append(&book{Title: "Three"}, &book{Title: "Four"}))
		if n := books().Count(); n != 4 {
			t.Errorf("%d books, want 4", n)
		}
		must(t, books().Delete(&book{ID: ann.Books[1].ID}))
		var left []book
		must(t, books().Find(&left))
		wantTitles(t, left, "Four", "One", "Three")
		wantCount(t, db, 4, &book{}) // Delete ends the association, not the book

		one := &ann.Books[0]
		must(t, db.Model(one).Association("Tags").Replace(&one.Tags[0], &tag{Name: "new"}))
		var tags []tag
		must(t, db.Model(one).Order("name").Association("Tags").Find(&tags))
		if len(tags) != 2 || tags[0].Name != "new" || tags[1].Name != "short" {
			t.Errorf("tags %+v", tags)
		}
		must(t, db.Model(one).Association("Tags").Clear())
		if n := db.Model(one).Association("Tags").Count(); n != 0 {
			t.Errorf("%d tags, want none", n)
		}
		wantCount(t, db, 3, &tag{})
	})
}

func TestAssociationThatFailsSavesNothing(t *testing.T) {
	inEveryMode(t, func(t *testing.T, db *gorm.DB) {
		library(t, db)
		// The tag conflicts by its name and is not inserted; the book refers to it.
		noTag := tag{ID: 1 << 40, Name: "short"}
		err := db.Create(&author{Name: "Cid", Books: []book{{Title: "New", Tags: []tag{noTag}}}}).Error
		wantError(t, "tag that is not there", err, gorm.ErrForeignKeyViolated, "23503")
		wantCount(t, db, 1, &author{})
		wantCount(t, db, 2, &book{})
	})
}
