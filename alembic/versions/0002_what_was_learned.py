"""What measuring jobs learn: predictions of the rest, lessons for later jobs, how each trial was measured

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("parent_id", sa.String(32), nullable=True))
    op.add_column("trials", sa.Column("intervals", sa.JSON(), nullable=True))
    op.add_column("trials", sa.Column("details", sa.JSON(), nullable=True))
    op.create_table(
        "predictions",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("simulated", sa.JSON(), nullable=False),
        sa.Column("calibrated", sa.JSON(), nullable=False),
        sa.Column("intervals", sa.JSON(), nullable=False),
        sa.Column("chance_feasible", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_predictions_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "place", name=op.f("pk_predictions")),
    )
    op.create_table(
        "lessons",
        sa.Column("job_id", sa.String(32), nullable=False),
        sa.Column("trial", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("model_family", sa.String(200), nullable=False),
        sa.Column("gpu", sa.String(100), nullable=False),
        sa.Column("engine_version", sa.String(200), nullable=False),
        sa.Column("driver", sa.String(100), nullable=False),
        sa.Column("learned_at", MOMENT, nullable=False),
        sa.Column("lesson", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", "trial", name=op.f("pk_lessons")),
    )
    op.create_index(
        op.f("ix_lessons_model_family_gpu_engine_version_driver_learned_at"),
        "lessons",
        ["model_family", "gpu", "engine_version", "driver", "learned_at"],
    )


def downgrade() -> None:
    op.drop_table("lessons")
    op.drop_table("predictions")
    with op.batch_alter_table("trials") as trials:
        trials.drop_column("details")
        trials.drop_column("intervals")
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("parent_id")
