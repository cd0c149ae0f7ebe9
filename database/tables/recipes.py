"""Recipes and their revisions."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from common.contracts.identifiers import new_id
from common.contracts.recipes import Validity
from database.tables.base import Model, living, living_slug, now, words


class Recipe(Model):
    """Terraform files under one name."""

    __tablename__ = "recipes"
    __table_args__ = (
        living_slug("recipes"),
        living("recipes", "created_at"),
        living("recipes", "updated_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    slug: Mapped[str] = mapped_column(String(63))
    description: Mapped[str] = mapped_column(Text, default="")
    managed_by: Mapped[str] = mapped_column(String(100), default="")
    version: Mapped[int] = mapped_column(default=1, server_default="1")  # for its ETag
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    deleted_at: Mapped[datetime | None]

    revisions: Mapped[list["RecipeRevision"]] = relationship(
        back_populates="recipe", lazy="raise", order_by="RecipeRevision.number"
    )


class RecipeRevision(Model):
    """An immutable set of a recipe's files; the newest has the highest number."""

    __tablename__ = "recipe_revisions"
    __table_args__ = (UniqueConstraint("recipe_id", "number"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    recipe_id: Mapped[UUID] = mapped_column(ForeignKey("recipes.id"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    # list[common.contracts.recipes.DeclaredVariable]; null = nobody could find out.
    declared_variables: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    # What terraform says of it, that is Creator; unchecked with problems = it could not judge yet.
    validity: Mapped[Validity] = mapped_column(
        words(Validity, length=16), default=Validity.UNCHECKED
    )
    problems: Mapped[list[Any]] = mapped_column(default=list)
    checked_at: Mapped[datetime | None]
    check_again_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)

    recipe: Mapped[Recipe] = relationship(back_populates="revisions", lazy="raise")
    files: Mapped[list["RecipeFile"]] = relationship(
        lazy="raise", order_by="RecipeFile.path", cascade="all, delete-orphan"
    )


class RecipeFile(Model):
    """One file of a recipe's revision; its content is in object storage under its hash."""

    __tablename__ = "recipe_files"

    revision_id: Mapped[UUID] = mapped_column(ForeignKey("recipe_revisions.id"), primary_key=True)
    path: Mapped[str] = mapped_column(String(512), primary_key=True)
    mode: Mapped[str] = mapped_column(String(4))
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    size: Mapped[int]
