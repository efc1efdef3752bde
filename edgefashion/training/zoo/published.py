"""The networks of the five published projects that edgefashion grew out of, one function each.

Keyword arguments are the settings that ``train --set`` and ``tune`` may change; their defaults are the
source's, or where it is silent ours, as the docstring says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgefashion.training.zoo.architecture import CLASSES, pixels

if TYPE_CHECKING:
    import keras


def logistic_regression() -> keras.Model:
    """Softmax on the 784 pixels.

    7,850 parameters. Source: Bi Touvoly, Alami and Bentammar, "Prediction of clothing items using deep
    learning methods", 2022, which shows its report but neither optimizer nor epochs; Adam and the ten
    epochs, 512 images a step, of its feed-forward network are ours.
    """
    from keras import Sequential, layers

    return Sequential(
        [*pixels(), layers.Flatten(), layers.Dense(CLASSES, activation="softmax")], name="logistic-regression"
    )


def feed_forward(activation: str = "relu") -> keras.Model:
    """One hidden layer of 1,024.

    814,090 parameters. Source: Bi Touvoly, Alami and Bentammar, 2022. Its log gives ten epochs of 94 steps,
    so 512 images each with a fifth held out; ReLU and Adam are ours.
    """
    from keras import Sequential, layers

    return Sequential(
        [
            *pixels(),
            layers.Flatten(),
            layers.Dense(1024, activation=activation),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="feed-forward",
    )


def cnn_201k(dropout: float = 0.3) -> keras.Model:
    """One 3x3 convolution of 32, pooled and dropped out, then dense 32.

    201,386 parameters. Source: Bi Touvoly, Alami and Bentammar, 2022: its first CNN. The summary hides the
    dropout rate and the activations: 0.3, the first of the rates it later searched, and ReLU are ours, as
    are same padding (its shapes) and Adam.
    """
    from keras import Sequential, layers

    return Sequential(
        [
            *pixels(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-201k",
    )


def cnn_413k(
    activation: str = "relu", initializer: str = "glorot_uniform", dropout: float = 0.3, pool_size: int = 2
) -> keras.Model:
    """Two 2x2 convolutions of 64 and 32, each pooled and dropped out, then dense 256 and dropout.

    412,778 parameters. Source: Bi Touvoly, Alami and Bentammar, 2022: its second CNN, and with
    ``lecun_uniform`` and plain SGD at 0.1 in steps of 20 the one its search chose. Dropout 0.3 is what the
    search ended at; the rest of the second CNN's settings (ReLU, Adam, Keras's initializer) are ours.
    """
    from keras import Sequential, layers

    def block(filters: int) -> list[Any]:
        return [
            layers.Conv2D(filters, 2, padding="same", activation=activation, kernel_initializer=initializer),
            layers.MaxPooling2D(pool_size),
            layers.Dropout(dropout),
        ]

    return Sequential(
        [
            *pixels(),
            *block(64),
            *block(32),
            layers.Flatten(),
            layers.Dense(256, activation=activation, kernel_initializer=initializer),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-413k",
    )


def cnn_413k_tuned(
    activation: str = "relu", initializer: str = "lecun_uniform", dropout: float = 0.3, pool_size: int = 2
) -> keras.Model:
    """The second CNN with the settings its source's search chose.

    412,778 parameters. Source: Bi Touvoly, Alami and Bentammar, 2022: "best parameters" ReLU,
    lecun_uniform, dropout 0.3, pool 2, SGD at 0.1, steps of 20, ten epochs.
    """
    return cnn_413k(activation, initializer, dropout, pool_size)


def resnet50() -> keras.Model:
    """ResNet50 on the garment padded to 32x32 in three equal channels, then dense 512.

    24,641,930 parameters. Source: Bi Touvoly, Alami and Bentammar, 2022; the backbone by He, Zhang, Ren
    and Sun, "Deep residual learning for image recognition", 2015, from Keras. The source trained the two
    dense layers alone. How it made 32x32x3 of 28x28 it does not say: two pixels of background all round
    are ours. It scales by 1/255 where Keras's ImageNet weights expect another scale; so do we.
    """
    from keras import Model, applications, layers

    entrance, scale = pixels()
    x = layers.ZeroPadding2D(2)(scale(entrance))
    x = layers.Concatenate()([x, x, x])
    x = applications.ResNet50(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")(x)
    x = layers.Dense(512, activation="relu")(x)
    return Model(entrance, layers.Dense(CLASSES, activation="softmax")(x), name="resnet50-transfer")


def cnn_565k() -> keras.Model:
    """Two valid-padded 3x3 convolutions, each pooled, then dense 256 and 512.

    565,386 parameters. Source: Jenat Cici Anil (team CodeRed), "Conquering Fashion MNIST with CNNs using
    Computer Vision", 2023: the baseline, without regularization. ReLU is ours.
    """
    from keras import Sequential, layers

    return Sequential(
        [
            *pixels(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-565k",
    )


def cnn_590k(dropout: float = 0.25) -> keras.Model:
    """Three valid-padded 3x3 convolutions, two pooled, then dense 256, 256 and 512.

    590,346 parameters. Source: Jenat Cici Anil (team CodeRed), "Conquering Fashion MNIST with
    CNNs using Computer Vision", 2023: the final model. The report's summary shows where the four
    dropout layers stand but not their rates or the activations; 0.25 and ReLU, the usual
    choices, are ours.
    """
    from keras import Sequential, layers

    return Sequential(
        [
            *pixels(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(dropout),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(dropout),
            layers.Conv2D(128, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(256, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(512, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-590k",
    )


def cnn_242k() -> keras.Model:
    """Three same-padded 3x3 convolutions, each pooled and dropped out, then dense 128.

    241,546 parameters. Source: Anant Kumar Jain and Mohan Rai, "Fashion MNIST with a CNN"
    (Simple and Real Analytics), whose listing and ``model.summary()`` this follows line by line.
    """
    from keras import Sequential, layers

    def block(filters: int, dropout: float) -> list[Any]:
        return [
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(dropout),
        ]

    return Sequential(
        [
            *pixels(),
            *block(32, 0.25),
            *block(64, 0.25),
            *block(128, 0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.30),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-242k",
    )


def cnn_609k(dropout: float = 0.25) -> keras.Model:
    """Two valid-padded 3x3 convolutions of 32 and 64, one pool, dropout, then dense 64.

    609,354 parameters. Source: Bharatendra Rai (UMass Dartmouth), "Case study to develop deep learning
    image recognition & classification models for fashion items", 2019. It gives the first layer, 32 filters
    of 3x3 making 26x26x32 of 28x28, and that dropout follows; a second convolution of 64, one pool, dense
    64, dropout 0.25 after each, Adam, 15 epochs and a fifth held out are ours.
    """
    from keras import Sequential, layers

    return Sequential(
        [
            *pixels(),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(dropout),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(CLASSES, activation="softmax"),
        ],
        name="cnn-609k",
    )


def dilated_inception(width: float = 1.0) -> keras.Model:
    """Four blocks of parallel convolutions, one of each dilated, with 1x1 reductions between them.

    209,517,386 parameters. Source: Konstantinos Papastamos and Ioannis Zikos, "Fashion Item Recognition
    with Deep Learning", 2018. Nothing is pooled, so the first dense layer sees 28x28x1024 values. What the
    source leaves open is ours: the kernels of 1, 3 and 5 (Inception's), a dilated kernel of 3 as the fourth
    branch of every block, ReLU, and 20 epochs. ``width`` multiplies every convolution's filters. The whole
    network is 3.3 G multiply-adds an image; three times that to train, 48,000 images an epoch, 20 epochs:
    1.9e16 operations, 40 hours at 130 Gflop/s.
    """
    from keras import Model, layers

    def block(x: Any, filters: int, dropout: float) -> Any:
        filters = max(1, round(filters * width))
        branches = [
            layers.Conv2D(filters, size, padding="same", activation="relu", dilation_rate=dilation)(x)
            for size, dilation in ((1, 1), (3, 1), (5, 1), (3, 3))
        ]
        x = layers.Concatenate()(branches)
        return layers.Dropout(dropout)(x) if dropout else x

    entrance, scale = pixels()
    x = block(scale(entrance), 32, 0)
    for filters in (64, 128, 256):
        x = layers.Conv2D(max(1, round(filters * width)), 1, padding="same", activation="relu")(x)
        x = block(x, filters, 0.3)
    x = layers.Flatten()(x)
    for units in (256, 128):
        x = layers.Dense(units)(x)
        x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU()(x)
        x = layers.Dropout(0.3)(x)
    return Model(entrance, layers.Dense(CLASSES, activation="softmax")(x), name="dilated-inception")
